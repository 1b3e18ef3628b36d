"use strict";
// The commands, each in a file of its own.

module.exports = {
  get doctor() {
    return require("./commands/doctor.js").doctor;
  },
  get list() {
    return require("./commands/list.js").list;
  },
  get show() {
    return require("./commands/show.js").show;
  },
  get count() {
    return require("./commands/list.js").count;
  },
  get release() {
    return require("./commands/changes.js").release;
  },
  get dispose() {
    return require("./commands/changes.js").dispose;
  },
  get sweep() {
    return require("./commands/changes.js").sweep;
  },
};
