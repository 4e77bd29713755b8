DROP TABLE IF EXISTS users.export_parts, users.exports;
