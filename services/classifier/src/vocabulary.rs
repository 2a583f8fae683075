//! Learns a tokenizer from texts: words for scripts that have spaces, single characters for Han,
//! one token for each kind of redacted value.

use reeve_domain::Kind;
use serde::{Deserialize, Serialize};
use tokenizers::{
    AddedToken, Model as _, SplitDelimiterBehavior, Tokenizer, TokenizerImpl,
    decoders::DecoderWrapper,
    models::{
        bpe::{BPE, BpeTrainer},
        wordlevel::{WordLevel, WordLevelTrainer},
        wordpiece::{WordPiece, WordPieceTrainer},
    },
    normalizers::{
        BertNormalizer, NFKC, NormalizerWrapper, Replace, Sequence, replace::ReplacePattern,
    },
    pre_tokenizers::{
        PreTokenizerWrapper,
        bert::BertPreTokenizer,
        sequence::Sequence as Pieces,
        split::{Split, SplitPattern},
        whitespace::WhitespaceSplit,
    },
    processors::PostProcessorWrapper,
};

/// Fills up nothing that is read; its id is 0.
pub(crate) const PAD: &str = "[PAD]";
/// A word that was not seen in training, and a text without words.
pub const UNKNOWN: &str = "[UNK]";

/// What a learned tokenizer makes tokens of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenizerKind {
    /// Words where there are spaces, single Han characters.
    Word,
    /// Single characters of any script.
    Character,
    /// What often stands together (byte-pair encoding): words and parts of words.
    Bpe,
    /// As `bpe`, also across Han characters: Chinese words as far as the texts show them.
    HanWord,
}

/// What the gateway's redaction leaves in a text, in brackets.
const REDACTED: [Kind; 6] = [
    Kind::EMAIL_ADDRESS,
    Kind::PHONE_NUMBER,
    Kind::IBAN_CODE,
    Kind::CREDIT_CARD,
    Kind::IP_ADDRESS,
    Kind::CN_RESIDENT_ID,
];

/// A tokenizer (`tokenizer.json`) of at most `size` tokens, made of what is in `texts` at least
/// `least` times. The same texts give the same bytes.
pub fn learn<'a>(
    kind: TokenizerKind,
    texts: impl Iterator<Item = &'a str> + Send,
    size: usize,
    least: u64,
) -> Result<Vec<u8>, tokenizers::Error> {
    match kind {
        TokenizerKind::Word => learn_tokenizer(texts, size, least),
        TokenizerKind::Character => learn_characters(texts, size, least),
        TokenizerKind::Bpe => learn_pairs(texts, size, least, true),
        TokenizerKind::HanWord => learn_pairs(texts, size, least, false),
    }
}

/// As [`learn`] for [`TokenizerKind::Word`].
pub fn learn_tokenizer<'a>(
    texts: impl Iterator<Item = &'a str> + Send,
    size: usize,
    least: u64,
) -> Result<Vec<u8>, tokenizers::Error> {
    learn_words(texts, size, least, BertPreTokenizer.into())
}

fn learn_characters<'a>(
    texts: impl Iterator<Item = &'a str> + Send,
    size: usize,
    least: u64,
) -> Result<Vec<u8>, tokenizers::Error> {
    let each =
        Split::new(SplitPattern::Regex(r"\S".to_owned()), SplitDelimiterBehavior::Isolated, false)?;
    // White space is taken out first; what is left is split into its characters.
    let pieces = Pieces::new(vec![WhitespaceSplit.into(), each.into()]);
    learn_words(texts, size, least, pieces.into())
}

fn learn_words<'a>(
    texts: impl Iterator<Item = &'a str> + Send,
    size: usize,
    least: u64,
    pieces: PreTokenizerWrapper,
) -> Result<Vec<u8>, tokenizers::Error> {
    let words = WordLevel::builder().unk_token(UNKNOWN.to_owned()).build()?;
    let mut tokenizer: TokenizerImpl<
        WordLevel,
        NormalizerWrapper,
        PreTokenizerWrapper,
        PostProcessorWrapper,
        DecoderWrapper,
    > = TokenizerImpl::new(words);
    tokenizer.with_normalizer(Some(normalizer(true)?))?;
    tokenizer.with_pre_tokenizer(Some(pieces));
    let mut trainer = WordLevelTrainer::builder()
        .vocab_size(size)
        .min_frequency(least)
        .show_progress(false)
        .special_tokens(special())
        .build()?;
    tokenizer.train(&mut trainer, texts)?;
    Ok(tokenizer.to_string(true)?.into_bytes())
}

/// Byte-pair encoding over characters.
fn learn_pairs<'a>(
    texts: impl Iterator<Item = &'a str> + Send,
    size: usize,
    least: u64,
    split_han: bool,
) -> Result<Vec<u8>, tokenizers::Error> {
    /// Han characters that keep a place of their own in the vocabulary.
    const CHARACTERS_MAX: usize = 8_000;
    let pairs = BPE::builder().unk_token(UNKNOWN.to_owned()).build()?;
    let mut tokenizer: TokenizerImpl<
        BPE,
        NormalizerWrapper,
        PreTokenizerWrapper,
        PostProcessorWrapper,
        DecoderWrapper,
    > = TokenizerImpl::new(pairs);
    tokenizer.with_normalizer(Some(normalizer(split_han)?))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    let mut trainer = BpeTrainer::builder()
        .vocab_size(size)
        .min_frequency(least)
        .limit_alphabet(CHARACTERS_MAX.min(size))
        .show_progress(false)
        .special_tokens(special())
        .build();
    tokenizer.train(&mut trainer, texts)?;
    Ok(tokenizer.to_string(true)?.into_bytes())
}

fn special() -> Vec<AddedToken> {
    [PAD.to_owned(), UNKNOWN.to_owned()]
        .into_iter()
        .chain(REDACTED.iter().map(|kind| format!("[{kind}]")))
        .map(|token| AddedToken::from(token, true).normalized(false))
        .collect()
}

fn normalizer(split_han: bool) -> Result<Sequence, tokenizers::Error> {
    Ok(Sequence::new(vec![
        // Full-width letters and digits become the usual ones.
        NFKC.into(),
        // The length of a number says more than its digits, and numbers would fill the
        // vocabulary with words that never come again.
        Replace::new(ReplacePattern::Regex("[0-9]".to_owned()), "0")?.into(),
        BertNormalizer::new(true, split_han, Some(true), true).into(),
    ]))
}

/// How [`learn_tokenizer`]'s tokenizers normalise, as their files say it.
pub(crate) fn usual_normalizer() -> Option<serde_json::Value> {
    serde_json::to_value(normalizer(true).ok()?).ok()
}

/// A tokenizer of at most `size` parts of words, with their case: a name that was never seen is
/// made of parts that were.
pub fn learn_word_parts<'a>(
    texts: impl Iterator<Item = &'a str> + Send,
    size: usize,
) -> Result<Vec<u8>, tokenizers::Error> {
    let special = [PAD, UNKNOWN]
        .map(|token| AddedToken::from(token.to_owned(), true).normalized(false))
        .to_vec();
    let parts = WordPiece::builder().unk_token(UNKNOWN.to_owned()).build()?;
    let mut tokenizer: TokenizerImpl<
        WordPiece,
        NormalizerWrapper,
        PreTokenizerWrapper,
        PostProcessorWrapper,
        DecoderWrapper,
    > = TokenizerImpl::new(parts);
    let normalizer = Sequence::new(vec![
        NFKC.into(),
        Replace::new(ReplacePattern::Regex("[0-9]".to_owned()), "0")?.into(),
        BertNormalizer::new(true, true, Some(false), false).into(),
    ]);
    tokenizer.with_normalizer(Some(normalizer))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    let mut trainer = WordPieceTrainer::builder()
        .vocab_size(size)
        .show_progress(false)
        .special_tokens(special)
        .build();
    tokenizer.train(&mut trainer, texts)?;
    Ok(tokenizer.to_string(true)?.into_bytes())
}

/// How many ids a tokenizer has.
pub fn vocabulary_size(tokenizer: &[u8]) -> Result<usize, tokenizers::Error> {
    let tokenizer = Tokenizer::from_bytes(tokenizer)?;
    Ok(tokenizer.get_vocab_size(true).max(tokenizer.get_model().get_vocab_size()))
}
