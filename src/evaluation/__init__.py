"""How good a score is: pure functions of arrays of outcome, score and value, which know no table, date or model."""
