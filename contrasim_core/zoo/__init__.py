"""The bundled models: recipes that train them, cards that say how they came out, and their weights."""
