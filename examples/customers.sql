-- The table of customers.yaml.
CREATE TABLE customers (
  id bigint PRIMARY KEY,
  name text NOT NULL,
  city text
);
