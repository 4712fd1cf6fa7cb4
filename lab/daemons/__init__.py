"""The servers of a lab: how each is started, and when it is ready."""
