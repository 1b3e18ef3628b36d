//! A function of ours that JavaScript is to call later: when the turn is over (`afterTurn` in `index.js`), or in the event
//! loop's next one (`setImmediate`).

use std::rc::Rc;

use crate::node_api::{Callback, Engine, Reference, Thrown, Type, Value};

/// The function, and what calls it later.
pub struct Scheduled {
    schedule: Reference,
    function: Reference,
}

impl Scheduled {
    /// A function whose `callback` is to be opened with [`Engine::enter`]. `None` where the runtime has no `schedule`, which is
    /// then `undefined`.
    pub fn new<T>(
        engine: Engine,
        schedule: Value,
        name: &str,
        callback: Callback,
        share: Rc<T>,
    ) -> Result<Option<Self>, Thrown> {
        if engine.type_of(schedule) != Type::Function {
            return Ok(None);
        }
        let function = engine.function_sharing(name, callback, share)?;
        Ok(Some(Self { schedule: engine.keep(schedule)?, function: engine.keep(function)? }))
    }

    /// Asks for one call; false when there will be none.
    pub fn ask(&self, engine: Engine) -> bool {
        let (schedule, function) = (engine.kept(&self.schedule), engine.kept(&self.function));
        engine.call(schedule, engine.undefined(), &[function]).is_ok()
    }
}
