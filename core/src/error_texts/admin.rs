//! The admin API: questions that servers did not answer. What is made of the answers is JavaScript.

texts! {
    no_answer(server, timeout) => Timeout, "{server} did not answer within {timeout} ms", "is it overloaded, or is commandTimeout too short?";
    replies_too_large(limit) => Reply, "the answers to one question are larger than {limit} MiB", "ask for less at a time";
    unknown_server(server) => Connection, "{server} is none of the servers that were found last", "";
    interrupted() => Connection, "the thread that asks the servers ended before there was an answer", "";
}
