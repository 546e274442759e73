"""What was known of a customer at an origin: Ibis expressions over event tables, looking back."""
