"""Networks trained with a contrastive loss: recipe, data, loop, observation, evaluation; many at once in `stack`."""
