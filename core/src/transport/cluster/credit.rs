//! Whose map of the cluster is believed: one that has led nowhere is not believed again while another server has one.

use crate::config::Address;

/// Servers whose maps have led nowhere that are remembered.
const MAX_DISCREDITED: usize = 16;

/// What has come of the maps.
#[derive(Debug, Default)]
pub struct Credit {
    /// Whose map is in use, until something has been answered where it leads.
    on_trial: Option<Address>,
    /// Something has come back from where it leads, and was no answer.
    failed: bool,
    discredited: Vec<Address>,
}

impl Credit {
    /// The map of a server is used from now on.
    pub fn taken(&mut self, source: Address) {
        (self.on_trial, self.failed) = (Some(source), false);
    }

    /// A server that the map names has answered a call.
    pub fn led_somewhere(&mut self) {
        self.on_trial = None;
        self.discredited.clear();
    }

    /// A call has come back without an answer.
    pub fn led_nowhere(&mut self) {
        self.failed = true;
    }

    /// The servers whose maps have led nowhere, for who reads another map.
    pub fn discredited(&mut self) -> Vec<Address> {
        if let Some(source) = self.on_trial.take_if(|_| self.failed)
            && !self.discredited.contains(&source)
        {
            if self.discredited.len() == MAX_DISCREDITED {
                self.discredited.clear();
            }
            self.discredited.push(source);
        }
        self.discredited.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_that_led_nowhere_loses_its_credit_until_something_is_answered() {
        let server = |port| Address::Tcp("127.0.0.1".into(), port);
        let mut credit = Credit::default();
        assert_eq!(credit.discredited(), []);
        credit.taken(server(1));
        assert_eq!(credit.discredited(), [], "nothing has been tried");
        credit.led_nowhere();
        assert_eq!(credit.discredited(), [server(1)]);
        credit.taken(server(2));
        credit.led_nowhere();
        assert_eq!(credit.discredited(), [server(1), server(2)]);
        credit.taken(server(1));
        credit.led_somewhere();
        credit.led_nowhere();
        assert_eq!(credit.discredited(), [], "it leads somewhere, and one node is down");
    }
}
