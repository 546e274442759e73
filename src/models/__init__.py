"""Estimators, and what each model trains: frames and arrays in, fitted parameters out."""
