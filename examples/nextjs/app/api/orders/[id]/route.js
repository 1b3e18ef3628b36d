// How far an order is. The store has executions that have begun and are not over; what a shop keeps of an order after
// that belongs in its database.
import { getStore } from "../../../../lib/store.js";

export async function GET(_request, { params }) {
  const { id } = await params;
  const { isExecutionInProgress, getExecutionTaskResults } = getStore();
  const results = await getExecutionTaskResults(id);
  return Response.json({ inProgress: await isExecutionInProgress(id), done: Object.keys(results) });
}
