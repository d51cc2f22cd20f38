"""ContraSim: encoders trained with contrast, their ablations without it, and the measures that they define."""
