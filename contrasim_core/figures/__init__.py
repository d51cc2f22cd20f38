"""What the figures of several kinds of run share. Figures only draw what results contain; no torch."""
