-- The tables of shop.yaml.
CREATE TABLE shop_orders (
  id    bigint PRIMARY KEY,
  state text NOT NULL,
  total numeric NOT NULL
);
CREATE TABLE shop_items (
  order_id bigint NOT NULL REFERENCES shop_orders ON DELETE CASCADE,
  line     int NOT NULL,
  sku      text NOT NULL,
  quantity int NOT NULL CHECK (quantity > 0),
  PRIMARY KEY (order_id, line)
);
