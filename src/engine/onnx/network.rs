//! One network, ready to be run on tiles. The only place that knows the library which does it.

use std::path::Path;
use std::sync::Arc;

use super::folder::Spec;

/// A network that has been read.
pub(super) trait Network: Send + Sync {
    /// Runs it on one tile, plane after plane and row after row; gives as many planes, enlarged as its description
    /// says.
    fn run(&self, tile: &[f32]) -> Result<Vec<f32>, String>;
}

/// Whether networks can be run at all.
#[cfg(not(feature = "onnx"))]
pub(super) fn available() -> Result<(), String> {
    Err("this program was built without the feature onnx, which runs such files".to_owned())
}

/// Reads a network.
#[cfg(not(feature = "onnx"))]
pub(super) fn load(_: &Path, _: &Spec) -> Result<Arc<dyn Network>, String> {
    available().map(|()| unreachable!("nothing is available without the feature"))
}

#[cfg(feature = "onnx")]
pub(super) use with_tract::{available, load};

#[cfg(feature = "onnx")]
mod with_tract {
    use std::fs::File;
    use std::io::BufReader;

    use tract_onnx::prelude::*;

    use super::{Arc, Network, Path, Spec};

    struct Tract {
        plan: Arc<TypedRunnableModel>,
        shape: [usize; 4],
        output: usize,
    }

    pub(in crate::engine::onnx) fn available() -> Result<(), String> {
        Ok(())
    }

    pub(in crate::engine::onnx) fn load(path: &Path, spec: &Spec) -> Result<Arc<dyn Network>, String> {
        let (tile, planes) = (spec.tile as usize, spec.channels.count());
        let shape = [1, planes, tile, tile];
        let broken = |what: &str| {
            let what = what.to_owned();
            move |error: TractError| format!("{what}: {}", first_line(&format!("{error:#}")))
        };
        let file = File::open(path).map_err(|error| format!("the file can't be read: {error}"))?;
        let mut model = tract_onnx::onnx()
            // They often name sizes that only hold for the picture that the file was made with.
            .with_ignore_output_shapes(true)
            .with_ignore_value_info(true)
            .model_for_read(&mut BufReader::new(file))
            .map_err(broken("this is no ONNX file that can be read"))?;
        let inputs = model.input_outlets().map_err(broken("the network has no input"))?.len();
        let outputs = model.output_outlets().map_err(broken("the network has no output"))?.len();
        if (inputs, outputs) != (1, 1) {
            return Err(format!(
                "the network has {inputs} inputs and {outputs} outputs instead of one of each"
            ));
        }
        model
            .set_input_fact(0, f32::fact(shape).into())
            .map_err(broken("the network takes no tile of this size"))?;
        let optimised =
            model.into_optimized().map_err(broken("the network can't be run on tiles of this size"))?;
        let fact = optimised.output_fact(0).map_err(broken("the network has no output"))?;
        let side = tile * spec.scale as usize;
        let expected = [1, planes, side, side];
        match fact.shape.as_concrete() {
            Some(found) if found == expected && fact.datum_type == f32::datum_type() => {}
            found => {
                return Err(format!(
                    "the network answers with {:?} of {found:?} where its description asks for numbers of {expected:?}",
                    fact.datum_type
                ));
            }
        }
        let plan = optimised.into_runnable().map_err(broken("the network can't be run"))?;
        Ok(Arc::new(Tract { plan, shape, output: expected.iter().product() }))
    }

    impl Network for Tract {
        fn run(&self, tile: &[f32]) -> Result<Vec<f32>, String> {
            let failed =
                |error: TractError| format!("the network failed: {}", first_line(&format!("{error:#}")));
            let input = Tensor::from_shape(&self.shape, tile).map_err(failed)?;
            let outputs = self.plan.run(tvec!(input.into())).map_err(failed)?;
            let output = outputs[0].to_plain_array_view::<f32>().map_err(failed)?;
            let numbers: Vec<f32> = output.iter().copied().collect();
            if numbers.len() == self.output {
                Ok(numbers)
            } else {
                Err("the network answered with another size".to_owned())
            }
        }
    }

    fn first_line(text: &str) -> String {
        text.lines().next().unwrap_or_default().chars().take(300).collect()
    }
}
