-- Drops positions and dead letters: they cannot be brought back.
DROP FUNCTION penstock.advance(text, text[], integer[], bigint[], bigint[], bigint[],
  integer[]);
DROP FUNCTION penstock.settle_dead_letters(text, bigint[], bigint[], text[], text[], text[], text[],
  text[], text);
DROP VIEW penstock.dead_letter_summary;
DROP FUNCTION penstock.newest_dead_letter();
DROP TABLE penstock.dead_letters;
DROP TABLE penstock.pipelines;
DROP TABLE penstock.offsets;
