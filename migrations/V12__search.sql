-- The words of media_words, in their order: what a beginning is spelled out into. It stores nothing of its own.
CREATE VIRTUAL TABLE media_terms USING fts5vocab (media_words, instance);
