"""Claim, connect, hand over, learn an outcome for each recipient. Never imports accept/."""
