"""The broker of the deployment: its configuration, its certificates, three of them together."""
