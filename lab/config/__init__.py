"""The configuration files of the lab's daemons, as data."""
