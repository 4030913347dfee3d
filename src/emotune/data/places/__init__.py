"""Where data is: in memory, in files and folders, at URLs, on the Hub."""
