use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use reeve_classifier::{Activation, LongInput, Readout, TokenizerKind, Wide};
use reeve_torch::{
    BodyKind, ClassWeights, Loss, Optimizer, Precision, Recipe, Schedule, WideRecipe,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How to train. What is not said is as the recipe's file has it, and without one as the article
/// has it: an embedding, one LSTM, its last real step, a linear layer.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Recipe")]
pub(crate) struct RecipeArguments {
    /// JSON file with a recipe to start from, such as the `recipe` of a report.
    #[arg(long)]
    recipe: Option<PathBuf>,
    /// Times that every text is seen [12].
    #[arg(long)]
    epochs: Option<u32>,
    /// The step's size [0.3; 0.003 with adam and adamw].
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Of the optimizers momentum and nesterov [0.9].
    #[arg(long)]
    momentum: Option<f64>,
    /// Share of a weight that is taken off for each learning rate [0; 0.01 with adamw].
    #[arg(long)]
    weight_decay: Option<f64>,
    /// sgd, momentum, nesterov, adam or adamw [momentum].
    #[arg(long, value_parser = named::<Optimizer>)]
    optimizer: Option<Optimizer>,
    /// constant, linear, cosine or step [cosine].
    #[arg(long, value_parser = named::<Schedule>)]
    schedule: Option<Schedule>,
    /// Share of all steps in which the learning rate rises [0].
    #[arg(long)]
    warm_up: Option<f64>,
    /// The longest gradient; 0 for any [1].
    #[arg(long)]
    clip: Option<f64>,
    /// Ends after so many epochs without a better one, and keeps the best; 0 for never [0].
    #[arg(long)]
    patience: Option<u32>,
    /// cross-entropy or mse [cross-entropy].
    #[arg(long, value_parser = named::<Loss>)]
    loss: Option<Loss>,
    /// none, or balanced: each label counts the same [none].
    #[arg(long, value_parser = named::<ClassWeights>)]
    class_weights: Option<ClassWeights>,
    /// Share of the right answer's probability that is spread over all labels [0].
    #[arg(long)]
    label_smoothing: Option<f64>,
    /// A Transformer encoder with so many heads instead of an LSTM; 0 for an LSTM.
    #[arg(long)]
    transformer_heads: Option<u32>,
    /// Before the output: none, sigmoid, tanh or relu [none].
    #[arg(long, value_parser = named::<Activation>)]
    activation: Option<Activation>,
    /// What stands for the text: last-real, max or mean [last-real].
    #[arg(long, value_parser = named::<Readout>)]
    readout: Option<Readout>,
    /// Width of the embedding [48].
    #[arg(long)]
    embedding: Option<u32>,
    /// Width of the hidden state [64].
    #[arg(long)]
    hidden: Option<u32>,
    /// Layers [1].
    #[arg(long)]
    layers: Option<u32>,
    /// Lets an LSTM read from both ends.
    #[arg(long)]
    bidirectional: bool,
    /// Share of the embeddings that is dropped while learning [0].
    #[arg(long)]
    embedding_dropout: Option<f64>,
    /// The same between layers [0].
    #[arg(long)]
    layer_dropout: Option<f64>,
    /// The same of what is read out [0].
    #[arg(long)]
    readout_dropout: Option<f64>,
    /// Puts hashed n-grams of words and characters beside the network, in so many buckets; 0 for
    /// none [0].
    #[arg(long)]
    wide_buckets: Option<u32>,
    /// The longest n-gram of words; a Han character is one [2].
    #[arg(long)]
    wide_words: Option<u32>,
    /// The shortest and the longest n-gram of characters, as in `2,5` [3,5].
    #[arg(long, value_delimiter = ',', num_args = 2)]
    wide_characters: Option<Vec<u32>>,
    /// Width of a bag of n-grams; 0 goes straight to the output [0].
    #[arg(long)]
    wide_width: Option<u32>,
    /// An n-gram in fewer texts is left out [1].
    #[arg(long)]
    wide_least: Option<u32>,
    /// Learning rate of the n-grams [0.01].
    #[arg(long)]
    wide_learning_rate: Option<f64>,
    /// Weight decay of the n-grams [0].
    #[arg(long)]
    wide_weight_decay: Option<f64>,
    /// Share of the n-grams that is dropped while learning [0].
    #[arg(long)]
    wide_dropout: Option<f64>,
    /// How much the loss of network and n-grams each alone counts beside both together's [0].
    #[arg(long)]
    wide_own_loss: Option<f64>,
    /// Texts a step [32].
    #[arg(long)]
    batch: Option<usize>,
    /// Tokens of a text that are read at once [128].
    #[arg(long)]
    max_tokens: Option<u32>,
    /// What becomes of longer texts: cut, refuse, or split=N for windows that overlap by N [cut].
    #[arg(long, value_parser = long_input)]
    long: Option<LongInput>,
    /// What a learned tokenizer makes tokens of: word, character, bpe or han-word [word].
    #[arg(long, value_parser = named::<TokenizerKind>)]
    tokenizer: Option<TokenizerKind>,
    /// Most tokens of the vocabulary [20000].
    #[arg(long)]
    vocabulary: Option<usize>,
    /// A word that is there less often is unknown [2].
    #[arg(long)]
    least_frequency: Option<u64>,
    /// Share of tokens that are shown as unknown [0.03].
    #[arg(long)]
    unknown_share: Option<f64>,
    /// How much texts that are out of scope count while learning [0].
    #[arg(long)]
    outlier_weight: Option<f64>,
    /// full, or mixed: the network in bfloat16 [full].
    #[arg(long, value_parser = named::<Precision>)]
    precision: Option<Precision>,
    /// Another seed, another split and other weights [1].
    #[arg(long)]
    seed: Option<u64>,
}

/// N-grams as they are when they are only asked for.
const WIDE: WideRecipe = WideRecipe {
    shape: Wide { buckets: 1 << 16, words: 2, characters_from: 3, characters_to: 5, width: 0 },
    least: 1,
    learning_rate: 0.01,
    weight_decay: 0.0,
    own_loss: 0.0,
};

/// A value by the name that it has in a recipe's file.
pub(crate) fn named<T: DeserializeOwned>(name: &str) -> Result<T, String> {
    serde_json::from_value(Value::String(name.to_owned())).map_err(|error| error.to_string())
}

pub(crate) fn long_input(name: &str) -> Result<LongInput, String> {
    match name.strip_prefix("split=") {
        Some(overlap) => overlap
            .parse()
            .map(|overlap| LongInput::Split { overlap })
            .map_err(|_| format!("`{overlap}` is not a number of tokens")),
        None => named(name),
    }
}

fn set<T: Copy>(to: &mut T, from: Option<T>) {
    if let Some(value) = from {
        *to = value;
    }
}

impl RecipeArguments {
    pub(crate) fn recipe(&self) -> Result<Recipe> {
        let mut recipe: Recipe = match &self.recipe {
            Some(path) => fs::read(path)
                .map_err(anyhow::Error::from)
                .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
                .with_context(|| format!("`{}`", path.display()))?,
            None => Recipe::default(),
        };
        if let Some(optimizer) = self.optimizer {
            let adam = matches!(optimizer, Optimizer::Adam | Optimizer::Adamw);
            recipe.optimizer = optimizer;
            recipe.learning_rate = if adam { 0.003 } else { 0.3 };
            recipe.weight_decay = if optimizer == Optimizer::Adamw { 0.01 } else { 0.0 };
        }
        set(&mut recipe.epochs, self.epochs);
        set(&mut recipe.learning_rate, self.learning_rate);
        set(&mut recipe.momentum, self.momentum);
        set(&mut recipe.weight_decay, self.weight_decay);
        set(&mut recipe.schedule, self.schedule);
        set(&mut recipe.warm_up, self.warm_up);
        set(&mut recipe.clip, self.clip);
        set(&mut recipe.patience, self.patience);
        set(&mut recipe.loss, self.loss);
        set(&mut recipe.class_weights, self.class_weights);
        set(&mut recipe.label_smoothing, self.label_smoothing);
        set(&mut recipe.activation, self.activation);
        set(&mut recipe.readout, self.readout);
        set(&mut recipe.embedding, self.embedding);
        set(&mut recipe.hidden, self.hidden);
        set(&mut recipe.layers, self.layers);
        recipe.bidirectional |= self.bidirectional;
        set(&mut recipe.dropout.embedding, self.embedding_dropout);
        set(&mut recipe.dropout.between, self.layer_dropout);
        set(&mut recipe.dropout.readout, self.readout_dropout);
        set(&mut recipe.dropout.grams, self.wide_dropout);
        set(&mut recipe.batch, self.batch);
        set(&mut recipe.max_tokens, self.max_tokens);
        set(&mut recipe.long, self.long);
        set(&mut recipe.tokenizer, self.tokenizer);
        set(&mut recipe.vocabulary, self.vocabulary);
        set(&mut recipe.least_frequency, self.least_frequency);
        set(&mut recipe.unknown_share, self.unknown_share);
        set(&mut recipe.outlier_weight, self.outlier_weight);
        set(&mut recipe.precision, self.precision);
        set(&mut recipe.seed, self.seed);
        match self.transformer_heads {
            Some(0) => recipe.body = BodyKind::Lstm,
            Some(heads) => recipe.body = BodyKind::Transformer { heads },
            None => {}
        }
        self.wide(&mut recipe);
        Ok(recipe)
    }

    fn wide(&self, recipe: &mut Recipe) {
        match self.wide_buckets {
            Some(0) => recipe.wide = None,
            Some(buckets) => {
                recipe.wide.get_or_insert(WIDE).shape.buckets = buckets;
            }
            None => {}
        }
        let Some(wide) = &mut recipe.wide else { return };
        set(&mut wide.shape.words, self.wide_words);
        if let Some([from, to]) = self.wide_characters.as_deref() {
            (wide.shape.characters_from, wide.shape.characters_to) = (*from, *to);
        }
        set(&mut wide.shape.width, self.wide_width);
        set(&mut wide.least, self.wide_least);
        set(&mut wide.learning_rate, self.wide_learning_rate);
        set(&mut wide.weight_decay, self.wide_weight_decay);
        set(&mut wide.own_loss, self.wide_own_loss);
    }
}
