"""What is done with what is seen: plugins, each one file or folder, on the public plugin API only."""
