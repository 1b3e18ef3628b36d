/**
 * Output for people: colours and a line that changes in place where the output is a terminal, plain lines elsewhere. The
 * colours are written here and not taken from a package such as picocolors, because this runs before any is installed.
 */

const LIVE_INTERVAL_MS = 1000;

/**
 * @param {NodeJS.WriteStream} [stream]
 */
export function createTerminal(stream = process.stdout) {
  const interactive = Boolean(stream.isTTY);
  const coloured = interactive && !process.env.NO_COLOR;
  const style = (open, close) => (text) => (coloured ? `\x1b[${open}m${text}\x1b[${close}m` : String(text));
  let live = false;

  function erase() {
    if (live) stream.write("\r\x1b[2K");
    live = false;
  }

  function line(text = "") {
    erase();
    stream.write(`${text}\n`);
  }

  /** Shows a line until the next one comes. Not a terminal: does nothing. */
  function status(text) {
    if (!interactive) return;
    erase();
    stream.write(text.slice(0, (stream.columns || 80) - 1));
    live = true;
  }

  /**
   * Shows that something goes on. On a terminal one line with the seconds that have passed, which `update` changes;
   * elsewhere one line per update.
   *
   * @param {string} title
   * @returns {{ update: (text: string) => void, end: () => number }} `end` returns the seconds it took
   */
  function progress(title) {
    const start = Date.now();
    let detail = "";
    const seconds = () => Math.round((Date.now() - start) / 1000);
    const show = () => status(`  … ${title}  ${seconds()} s  ${detail}`);
    if (!interactive) line(`  … ${title}`);
    show();
    const timer = interactive ? setInterval(show, LIVE_INTERVAL_MS) : undefined;
    return {
      update(text) {
        detail = text;
        if (interactive) show();
        else line(`    ${text}`);
      },
      end() {
        clearInterval(timer);
        erase();
        return seconds();
      },
    };
  }

  return {
    coloured,
    line,
    progress,
    bold: style(1, 22),
    dim: style(2, 22),
    red: style(31, 39),
    green: style(32, 39),
    yellow: style(33, 39),
    cyan: style(36, 39),
  };
}
