"""What all commands share: parsing, help, and the wording of mistakes."""
