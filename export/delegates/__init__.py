"""Which operators the delegates of phones take: tables from LiteRT's sources, and a file held against them."""
