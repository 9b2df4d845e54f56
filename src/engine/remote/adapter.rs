//! Makes an engine of a way to speak to one provider.

use super::{Answer, Error, Form, Found, Ledger, Lookup, Model, Order, Protocol, Remote, Result};
use super::{Heard, WebhookCall, WebhookError, run};
use crate::config;
use crate::engine::{self, BoxFuture, Context, Engine, REMOTE_STEPS, Restored, StepInfo, Work};

/// An engine on another machine, whatever that machine speaks.
pub(in crate::engine) struct Adapter<P>(pub(in crate::engine) P);

impl<P: Protocol + Send + 'static> Engine for Adapter<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn title(&self) -> &'static str {
        P::TITLE
    }

    fn steps(&self) -> &'static [StepInfo] {
        &REMOTE_STEPS
    }

    fn recreates(&self) -> bool {
        true
    }

    fn restore(&self, _: Work, _: Context) -> BoxFuture<'_, Result<Restored, engine::Error>> {
        Box::pin(async { Err(engine::Error::NeedsModel { engine: P::NAME.to_owned() }) })
    }

    fn configure(&self, settings: &config::Engines) {
        self.0.configure(settings);
    }

    fn remote(&self) -> Option<&dyn Remote> {
        Some(self)
    }
}

impl<P: Protocol + Send + 'static> Remote for Adapter<P> {
    fn unavailable(&self, model: &Model) -> Option<Error> {
        self.0.line().unavailable().or_else(|| self.0.not_set_up(model))
    }

    fn inspect<'a>(&'a self, model: &'a Model) -> BoxFuture<'a, Result<Form>> {
        Box::pin(async move {
            match self.unavailable(model) {
                Some(why) => Err(why),
                None => self.0.inspect(model).await,
            }
        })
    }

    fn look_up<'a>(&'a self, wanted: &'a Lookup) -> BoxFuture<'a, Result<Found>> {
        Box::pin(async move {
            match self.0.line().unavailable() {
                Some(why) => Err(why),
                None => self.0.look_up(wanted).await,
            }
        })
    }

    fn run<'a>(
        &'a self,
        order: &'a Order,
        ledger: &'a dyn Ledger,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Answer>> {
        Box::pin(async move {
            match self.unavailable(&order.model) {
                Some(why) => Err(why),
                None => run(&self.0, order, ledger, context).await,
            }
        })
    }

    fn hear<'a>(&'a self, call: WebhookCall<'a>) -> BoxFuture<'a, Result<Heard, WebhookError>> {
        Box::pin(self.0.hear(call))
    }
}
