//! The figures for people.

use std::fmt::Write as _;

use super::{Figures, pod, policy, privacy};

/// The figures as tables in Markdown.
pub(super) fn tables(figures: &Figures) -> String {
    let mut text = String::new();
    match write_tables(&mut text, figures) {
        // Writing to a string does not fail.
        Ok(()) | Err(std::fmt::Error) => text,
    }
}

fn write_tables(out: &mut String, figures: &Figures) -> std::fmt::Result {
    if let Some(gateway) = &figures.gateway {
        writeln!(out, "## Gateway\n")?;
        writeln!(out, "| proxy | connections | requests/s | of nginx | p50 | p99 |")?;
        writeln!(out, "|---|---:|---:|---:|---:|---:|")?;
        for line in &gateway.lines {
            let nginx = gateway
                .lines
                .iter()
                .find(|other| other.proxy == "nginx" && other.connections == line.connections);
            let share = nginx.map_or(f64::NAN, |nginx| line.per_second / nginx.per_second);
            writeln!(
                out,
                "| {} | {} | {:.0} | {share:.3} | {:.2} ms | {:.2} ms |",
                line.proxy,
                line.connections,
                line.per_second,
                line.p50_us / 1000.0,
                line.p99_us / 1000.0
            )?;
        }
        if let Some(memory) = gateway.reeve_memory_mb {
            writeln!(out, "\nReeve's memory after the load: {memory} MB.")?;
        }
    }
    if let Some(pod) = &figures.pod {
        write_pod(out, pod)?;
    }
    if let Some(ledger) = &figures.ledger {
        writeln!(out, "\n## Ledger\n\n| writers | records/s | p50 | p99 |\n|---|---:|---:|---:|")?;
        for name in ["bare", "sqlite", "1", "8", "64", "256"] {
            let Some(line) = ledger.get(name) else { continue };
            let name = match name {
                "bare" => "bare write and fsync, one by one",
                "sqlite" => "SQLite (WAL, synchronous=FULL), a commit each, one by one",
                writers => writers,
            };
            writeln!(
                out,
                "| {name} | {:.0} | {} µs | {} µs |",
                line.per_second, line.p50_us, line.p99_us
            )?;
        }
    }
    if let Some(privacy) = &figures.privacy {
        write_privacy(out, privacy)?;
    }
    if let Some(policy) = &figures.policy {
        write_policy(out, policy)?;
    }
    Ok(())
}

fn write_pod(out: &mut String, pod: &pod::Figures) -> std::fmt::Result {
    writeln!(out, "\n## Pod\n")?;
    writeln!(
        out,
        "| server | precision | texts | connections | texts/s | p50 | p99 | memory | pod is faster, \
         times (least to most) |"
    )?;
    writeln!(out, "|---|---|---|---:|---:|---:|---:|---:|---|")?;
    let ms = |us: Option<f64>| us.map_or_else(String::new, |us| format!("{:.2} ms", us / 1000.0));
    for line in &pod.lines {
        writeln!(
            out,
            "| {} | {} | {} | {} | {:.0} | {} | {} | {} | {} |",
            line.server,
            line.precision,
            line.texts,
            line.connections,
            line.per_second,
            ms(line.latency.map(|latency| latency.p50_us)),
            ms(line.latency.map(|latency| latency.p99_us)),
            line.memory_mb.map_or_else(String::new, |mb| format!("{mb} MB")),
            line.pod_is_faster.map_or_else(String::new, |times| {
                let pod::Range { least, median, most } = times;
                format!("{median:.2} ({least:.2} to {most:.2})")
            }),
        )?;
    }
    write_alone(out, pod)
}

/// The bare pass, and how soon a pod answers.
fn write_alone(out: &mut String, pod: &pod::Figures) -> std::fmt::Result {
    let Some(cold_start_ms) = pod.cold_start_ms else { return Ok(()) };
    let sizes = pod.forward.first().map(|forward| forward.per_second.keys()).into_iter().flatten();
    let sizes: Vec<u32> = sizes.copied().collect();
    write!(out, "\n| texts | bare forward pass | precision |")?;
    for size in &sizes {
        write!(out, " batch of {size} |")?;
    }
    writeln!(out, "\n|---|---|---|{}", "---:|".repeat(sizes.len()))?;
    for forward in &pod.forward {
        write!(out, "| {} | {} | {} |", forward.texts, forward.name, forward.precision)?;
        for size in &sizes {
            let rate = forward.per_second.get(size).copied().unwrap_or(f64::NAN);
            write!(out, " {rate:.0}/s |")?;
        }
        writeln!(out)?;
    }
    writeln!(
        out,
        "\nFrom the start of the process to the first answer, compared with libtorch's: \
         {cold_start_ms:.0} ms."
    )?;
    for left_out in &pod.left_out {
        writeln!(out, "\nLeft out: {left_out}.")?;
    }
    Ok(())
}

fn write_privacy(out: &mut String, programs: &[privacy::Figures]) -> std::fmt::Result {
    writeln!(out, "\n## Privacy\n")?;
    writeln!(out, "| program | mixed text | of reeve | 80 bytes, no value | 80 bytes, one |")?;
    writeln!(out, "|---|---:|---:|---:|---:|")?;
    let rate = |program: &privacy::Figures| program.speed.megabytes_per_second;
    let reeve = programs.first().map_or(f64::NAN, rate);
    for program in programs {
        let privacy::Speed { megabytes_per_second, short_text_us, short_text_with_a_value_us } =
            program.speed;
        writeln!(
            out,
            "| {} | {megabytes_per_second:.2} MB/s | 1/{:.0} | {short_text_us:.2} µs | \
             {short_text_with_a_value_us:.2} µs |",
            program.program,
            reeve / megabytes_per_second,
        )?;
    }
    writeln!(out, "\n| program | confidence | recall | precision | cases exact |")?;
    writeln!(out, "|---|---|---:|---:|---:|")?;
    for program in programs {
        for (confidence, agreement) in
            [("any", &program.agreement), ("0.4 or more", &program.agreement_acted_upon)]
        {
            let Some(privacy::Agreement { recall, precision, cases_exact }) = agreement else {
                continue;
            };
            writeln!(
                out,
                "| {} | {confidence} | {recall:.3} | {precision:.3} | {cases_exact:.3} |",
                program.program,
            )?;
        }
    }
    Ok(())
}

fn write_policy(out: &mut String, policy: &policy::Figures) -> std::fmt::Result {
    writeln!(out, "\n## Policy\n")?;
    writeln!(
        out,
        "| rules | in force | all of them, p50 / p99 | those left, asked first, p50 / p99 | asked again, p50 / p99 \
         | compile | specialise |"
    )?;
    writeln!(out, "|---:|---:|---:|---:|---:|---:|---:|")?;
    for row in &policy.decide {
        let times = |times: &policy::Times| format!("{:.1} / {:.1} µs", times.p50_us, times.p99_us);
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {:.0} ms | {:.1} ms |",
            row.rules,
            row.in_force,
            times(&row.full),
            times(&row.first),
            times(&row.again),
            row.compile_ms,
            row.prepare_ms,
        )?;
    }
    let policy::Same { calls, differ, seconds } = &policy.same;
    writeln!(
        out,
        "\n{calls} random calls decided by all rules and twice by those left: {differ} answers differ ({seconds:.0} s)."
    )?;
    for (replay, how) in [
        (Some(&policy.replay), "read from JSON and replayed on one core"),
        (policy.simulate.as_ref(), "read from the index in SQLite and replayed on two cores"),
    ] {
        let Some(policy::Replay { calls, reproduced, seconds }) = replay else { continue };
        writeln!(
            out,
            "\n{calls} recorded calls, all different, {how}, through a draft and through the bundle \
             that decided: {seconds:.1} s; {reproduced} reproduced."
        )?;
    }
    Ok(())
}

/// The page with the figures, and how they came about.
pub(super) fn page(figures: &Figures, tables: &str) -> String {
    let (machine, window) = (&figures.machine, figures.window);
    format!(
        "# What was measured\n\n\
         `./x bench --write` made this page; `./x bench [--json FILE] [--quick] [NAME…]` repeats it \
         (names: `gateway`, `pod`, `governed`, `ledger`, `privacy`, `policy`).\n\n\
         {}, {} cores, {} GB, {}; {}, commit {}; load of the last minute at the start: {}. Windows \
         of {} s after {} s of warm-up, {} repetitions, medians. A call that failed or was refused \
         voids the window.\n\n\
         * **Gateway**: Reeve (release, one worker) with everything on: key, limits, detection and \
         redaction, policy, two durable ledger records a call, and the worker that indexes them into \
         SQLite in the same process. nginx is a plain reverse proxy. Both \
         stand on core 0 in front of the same upstream, an nginx that answers a fixed body, on core \
         1 with wrk; they take turns. `upstream alone` is the floor.\n\
         * **Pod**: `reeve-pod` and other servers of the same weights (the article's network: \
         vocabulary 20,000, embedding 128, hidden 256, 4 classes), each with one worker on core 0, \
         wrk on core 1, one text a call; they take turns, all others halted (but TorchServe), the pod before and after each other \
         one of its precision; how many times as fast the pod is, is by the mean of these two windows, \
         the median over the turns. Memory is the first process's. `all of Reeve` is a gateway with everything on and a pod with one worker, which \
         share both cores with wrk. The pod gets texts and a warrant that it verifies, the others \
         token ids, which is in their favour. The bare pass, tokenizer included, is a loop on core \
         0, among the others in batches of the pod's size; that of libtorch is what the other servers compute with.\n\
         * **Ledger**: records of 700 bytes; a writer waits for its record's signed checkpoint. \
         `bare` writes the same bytes to a file of the same file system and syncs each; SQLite \
         inserts them in transactions of their own.\n\
         * **Privacy**: texts in English and Chinese, one in eight with values, searched for every \
         kind on one core, by turns with Presidio's pattern recognisers (no language model) and \
         `redact-core`. Recall and precision are of structured kinds in labelled sentences, cases \
         those of Presidio's own recognisers. What Reeve misses is in `privacy.md`.\n\
         * **Policy**: one decision with its obligations, for a call with one candidate region: by \
         every rule, and by what partial evaluation leaves of them, where 20,000 random calls come for \
         the first time and then once more. What groups of rules said of the values that they read \
         is remembered, so that calls cost little that differ in other values. Half of the rules that are not in force are about other tenants, half about other labels.\n\n\
         {tables}",
        machine.processor,
        machine.cores,
        machine.memory_gb,
        machine.system,
        machine.date,
        machine.commit,
        machine.load,
        window.measured_s,
        window.warm_up_s,
        window.repetitions,
    )
}
