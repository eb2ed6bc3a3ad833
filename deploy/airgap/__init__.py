"""Stand-ins for the images of `deploy/compose.yaml`, from package registries only."""
