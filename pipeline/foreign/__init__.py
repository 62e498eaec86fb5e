"""Predictions made elsewhere: read, checked by named rules, kept beside ours; and ours written down for others, in the same format."""
