"""What is asked of a farm, from what a person writes to what is sent: read and checked before a tracker hears of it."""
