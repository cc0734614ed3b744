"""The partitions of a cluster: what a job needs of one, which one takes it, and the files that describe them."""
