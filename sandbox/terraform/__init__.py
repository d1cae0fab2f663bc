"""A small Terraform for practice: the real command line, exit codes, JSON lines and words, for resources that need no
provider to be downloaded; and the infrastructure repository that it is used on."""
