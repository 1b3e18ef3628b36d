// The end of the process: in order if there is time for it, at its deadline otherwise.

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/**
 * Stops at the first signal to end, and ends the process with the status 0; at the deadline, or when stopping fails, with 1.
 *
 * @param milliseconds from the signal until the deadline
 * @param stop stops everything, in order
 */
export function stopOnSignal(milliseconds: number, stop: () => Promise<void>): void {
  let isStopping = false;
  const begin = async (signal: string) => {
    if (isStopping) return;
    isStopping = true;
    console.log(JSON.stringify({ event: "stopping", signal }));
    const end = (status: number, event: string) => {
      console.log(JSON.stringify({ event }));
      process.exit(status);
    };
    setTimeout(() => end(1, "stopped at the deadline"), milliseconds);
    try {
      await stop();
      end(0, "stopped");
    } catch (error) {
      console.error(error);
      end(1, "not stopped in order");
    }
  };
  for (const signal of SIGNALS) process.on(signal, begin);
}
