"""What recipients will make of mail with a From address: SPF, DKIM and DMARC by each way, from real DNS."""
