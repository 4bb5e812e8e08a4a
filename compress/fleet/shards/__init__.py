"""Images in shards over Ray's workers: cut, done, done again where a worker is lost, and put together in order."""
