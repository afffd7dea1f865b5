-- The table of orders.yaml.
CREATE TABLE orders (
  id bigint PRIMARY KEY,
  total double precision,
  placed_at timestamptz,
  partition int NOT NULL,
  "offset" bigint NOT NULL
);
