"""Set-up of databases, by programs that import each project only once."""
