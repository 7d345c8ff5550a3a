"""A gateway's settings found from an address: by presets, DNS, and what the domain publishes. Saves nothing."""
