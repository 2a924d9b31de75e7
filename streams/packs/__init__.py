"""Domain packs: products, needs, scenarios and models as versioned YAML."""
