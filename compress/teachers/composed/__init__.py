"""Operations that have no kind of layer of their own, written in layers that every stage and the deploy graph know."""
