"""What the farm tells programs and pages: its values in types that JSON has, and what is derived of them."""
