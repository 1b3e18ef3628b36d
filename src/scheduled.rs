//! A function of ours that JavaScript is to call later: when the turn is over (`afterTurn` in `index.js`), or in the event
//! loop's next one (`setImmediate`).

use std::rc::Rc;

use crate::node_api::{Callback, EnvHandle, Kept, Thrown, Type, Value};

/// The function, and what calls it later.
pub struct Scheduled {
    env: EnvHandle,
    schedule: Kept,
    function: Kept,
}

impl Scheduled {
    /// A function whose `callback` is to be opened with [`crate::node_api::Engine::enter`]. `None` where the runtime has no `schedule`, which is
    /// then `undefined`.
    pub fn new<T>(
        env: &EnvHandle,
        schedule: Value,
        name: &str,
        callback: Callback,
        share: Rc<T>,
    ) -> Result<Option<Self>, Thrown> {
        let engine = env.engine();
        if engine.type_of(schedule) != Type::Function {
            return Ok(None);
        }
        let function = engine.function_sharing(name, callback, share)?;
        Ok(Some(Self { env: env.clone(), schedule: env.keep(schedule)?, function: env.keep(function)? }))
    }

    /// Asks for one call; false when there will be none.
    pub fn ask(&self) -> bool {
        let engine = self.env.engine();
        engine.call(self.schedule.value(), engine.undefined(), &[self.function.value()]).is_ok()
    }
}
