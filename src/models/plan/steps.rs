//! The steps that nets consist of, and the tensors that each owns.

/// One step of a forward pass. `inputs` and `outputs` count features or channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A fully connected layer.
    Linear { name: String, inputs: usize, outputs: usize },
    /// A convolution with padding `kernel / 2` and no bias, as a norm follows.
    Conv { name: String, inputs: usize, outputs: usize, kernel: usize, stride: usize },
    /// Batch norm over images and pixels, then ReLU if asked for.
    Norm { name: String, channels: usize, relu: bool },
    /// The positive part.
    Relu,
    /// Max-pooling with stride 2: 2x2, where an odd last row or column is cropped, or 3x3 with a
    /// border of one pixel.
    Pool { kernel: usize },
    /// The mean over all pixels of a channel.
    Average,
    /// `relu(body(x) + shortcut(x))`; without steps the shortcut is the identity.
    Residual { body: Vec<Step>, shortcut: Vec<Step> },
    /// Images to tokens: a linear layer over each patch of `patch` by `patch` pixels, the class token
    /// before them, and an offset for each place of `places`, which counts them all.
    Tokens { inputs: usize, outputs: usize, patch: usize, places: usize },
    /// A transformer block with its norms first: `x + attention(norm(x))`, then `x + mlp(norm(x))`.
    /// The MLP has one hidden layer of four times the width.
    Block { name: String, width: usize, heads: usize },
    /// The layer norm of the class token.
    ClassToken { name: String, width: usize },
}

/// What a tensor of a model is for, which decides how it starts and whether it is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A matrix or kernel whose outputs sum `fan_in` products.
    Weight { fan_in: usize },
    /// The bias beside such a weight.
    Bias { fan_in: usize },
    /// A matrix of a transformer.
    Projection,
    /// What is added to tokens, or is one.
    Token,
    /// The factor of a norm.
    Scale,
    /// The offset of a norm, or the bias beside a projection.
    Offset,
    /// Running mean of a norm, used in evaluation.
    Mean,
    /// Running variance of a norm, used in evaluation.
    Variance,
}

impl Role {
    /// Whether the optimiser moves it.
    pub(crate) fn trained(self) -> bool {
        !matches!(self, Self::Mean | Self::Variance)
    }

    /// Whether weight decay applies: to matrices and kernels only.
    pub(crate) fn decayed(self) -> bool {
        matches!(self, Self::Weight { .. } | Self::Projection)
    }
}

/// A named tensor of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) role: Role,
}

impl Parameter {
    fn new(step: &str, part: &str, shape: &[usize], role: Role) -> Self {
        Self { name: format!("{step}.{part}"), shape: shape.to_vec(), role }
    }
}

impl Step {
    /// The tensors that this step owns.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        let of = Parameter::new;
        match self {
            Self::Linear { name, inputs, outputs } => vec![
                of(name, "weight", &[*outputs, *inputs], Role::Weight { fan_in: *inputs }),
                of(name, "bias", &[*outputs], Role::Bias { fan_in: *inputs }),
            ],
            Self::Conv { name, inputs, outputs, kernel, .. } => {
                let role = Role::Weight { fan_in: inputs * kernel * kernel };
                vec![of(name, "weight", &[*outputs, *inputs, *kernel, *kernel], role)]
            }
            Self::Norm { name, channels, .. } => {
                let mut all = norm(name, *channels);
                all.push(of(name, "running_mean", &[*channels], Role::Mean));
                all.push(of(name, "running_var", &[*channels], Role::Variance));
                all
            }
            Self::Residual { body, shortcut } => {
                body.iter().chain(shortcut).flat_map(Self::parameters).collect()
            }
            Self::Tokens { inputs, outputs, patch, places } => {
                tokens([*inputs, *outputs, *patch, *places])
            }
            Self::Block { name, width, .. } => block(name, *width),
            Self::ClassToken { name, width } => norm(name, *width),
            Self::Relu | Self::Pool { .. } | Self::Average => Vec::new(),
        }
    }
}

fn norm(name: &str, width: usize) -> Vec<Parameter> {
    vec![
        Parameter::new(name, "weight", &[width], Role::Scale),
        Parameter::new(name, "bias", &[width], Role::Offset),
    ]
}

/// The names are timm's.
fn tokens([inputs, outputs, patch, places]: [usize; 4]) -> Vec<Parameter> {
    let (name, fan_in) = ("patch_embed.proj", inputs * patch * patch);
    let token = |name: &str, count| Parameter {
        name: name.to_owned(),
        shape: vec![1, count, outputs],
        role: Role::Token,
    };
    vec![
        token("cls_token", 1),
        token("pos_embed", places),
        Parameter::new(name, "weight", &[outputs, inputs, patch, patch], Role::Weight { fan_in }),
        Parameter::new(name, "bias", &[outputs], Role::Bias { fan_in }),
    ]
}

/// The names are timm's.
fn block(name: &str, width: usize) -> Vec<Parameter> {
    let projection = |part: &str, outputs: usize, inputs: usize| {
        let name = format!("{name}.{part}");
        [
            Parameter::new(&name, "weight", &[outputs, inputs], Role::Projection),
            Parameter::new(&name, "bias", &[outputs], Role::Offset),
        ]
    };
    let mut all = norm(&format!("{name}.norm1"), width);
    all.extend(projection("attn.qkv", 3 * width, width));
    all.extend(projection("attn.proj", width, width));
    all.extend(norm(&format!("{name}.norm2"), width));
    all.extend(projection("mlp.fc1", 4 * width, width));
    all.extend(projection("mlp.fc2", width, 4 * width));
    all
}
