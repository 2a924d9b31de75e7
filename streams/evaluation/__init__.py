"""What the recorded scores of the models were worth, beside baselines, as numbers, tables and one page."""
