SET LOCAL search_path = products, public;

DROP FUNCTION newest_matches(tsquery, bigint, integer, boolean);
-- The newest matches among active products, below a place if one is given: so many, and in a shop of up to 5,000
-- products a thousand. In a larger one it judges by the newest 500 products how far to look, and how: a common word is
-- found on the way from the newest on, a rare one by the index of the words. Either alone would take the longer the more
-- products there are.
CREATE FUNCTION newest_matches(query tsquery, below bigint, most integer)
RETURNS TABLE (product_id uuid, place bigint, rank real)
LANGUAGE plpgsql STABLE ROWS 60 AS $$
DECLARE
    -- Below this nothing has been found yet, and so much is missing.
    upper   bigint := coalesce(below, 9223372036854775807);
    missing bigint := most;
    lowest  bigint := (SELECT min(w.place) FROM products.product_words w);
    got     bigint;
    -- So many places are looked at next.
    ahead   bigint;
BEGIN
    IF (SELECT max(w.place) FROM products.product_words w) - lowest < 5000 THEN
        RETURN QUERY SELECT * FROM products.rare_matches(query, 0, upper, greatest(missing, 1000));
        RETURN;
    END IF;
    RETURN QUERY
    SELECT m.product_id, m.place, ts_rank(m.search, query)
    FROM (SELECT w.product_id, w.place, w.status, w.search FROM products.product_words w
          WHERE w.place < upper ORDER BY w.place DESC LIMIT 500) m
    WHERE m.search @@ query AND m.status = 'active' LIMIT missing;
    GET DIAGNOSTICS got = ROW_COUNT;
    missing := missing - got;
    IF missing = 0 THEN
        RETURN;
    END IF;
    upper := (SELECT w.place FROM products.product_words w
              WHERE w.place < upper ORDER BY w.place DESC OFFSET 499 LIMIT 1);
    IF got = 0 THEN
        -- The newest may be of another kind than most: what does the rest tell? A few of them show a common word, the
        -- index that there is no such word, and more of them one that is neither.
        got := 4 * products.scattered_matches(query, lowest, upper, 125);
        IF got = 0 AND NOT products.has_match(query) THEN
            RETURN;
        END IF;
        IF got = 0 THEN
            got := products.scattered_matches(query, lowest, upper, 500);
        END IF;
        IF got = 0 THEN
            RETURN QUERY SELECT * FROM products.rare_matches(query, 0, upper, missing);
            RETURN;
        END IF;
    END IF;
    -- What is missing should be within half of this.
    ahead := 2 * 500 * missing / got;
    -- The index gives got / 500 of all that are left, which lie scattered: each takes as long as ten in their order.
    IF ahead < 2 * 10 * got * (upper - lowest) / 500 THEN
        RETURN QUERY
        SELECT m.product_id, m.place, ts_rank(m.search, query)
        FROM (SELECT w.product_id, w.place, w.status, w.search FROM products.product_words w
              WHERE w.place < upper AND w.place >= upper - ahead ORDER BY w.place DESC LIMIT 1000000) m
        WHERE m.search @@ query AND m.status = 'active' LIMIT missing;
        GET DIAGNOSTICS got = ROW_COUNT;
        missing := missing - got;
        upper := upper - ahead;
    END IF;
    WHILE missing > 0 AND upper > lowest LOOP
        RETURN QUERY SELECT * FROM products.rare_matches(query, upper - ahead, upper, missing);
        GET DIAGNOSTICS got = ROW_COUNT;
        missing := missing - got;
        upper := upper - ahead;
        ahead := 10 * ahead;
    END LOOP;
END
$$;

DROP INDEX search_words_added;
ALTER TABLE search_words DROP COLUMN added;
