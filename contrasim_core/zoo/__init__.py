"""The bundled models: recipes that train them, cards with their scores, and their weights."""
