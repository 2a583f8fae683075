//! The one schema. Times are microseconds since the Unix epoch, sets and maps are JSON text,
//! digests are written as in `reeve_domain::Digest`.

diesel::table! {
    revision (id) {
        id -> BigInt,
        value -> BigInt,
    }
}

diesel::table! {
    tenant (id) {
        id -> Text,
        display_name -> Text,
        plan -> Text,
        status -> Text,
        residency -> Text,
        purposes -> Text,
        labels -> Text,
        created_at -> BigInt,
        legal -> Text,
    }
}

diesel::table! {
    api_key (id) {
        id -> Text,
        tenant -> Text,
        name -> Text,
        prefix -> Text,
        hash -> Text,
        scopes -> Text,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
        holder -> Nullable<Text>,
    }
}

diesel::table! {
    jwt_issuer (issuer) {
        issuer -> Text,
        tenant -> Text,
        algorithm -> Text,
        public_key -> Text,
    }
}

diesel::table! {
    model_version (name, version) {
        name -> Text,
        version -> Text,
        digest -> Text,
        generative -> Bool,
        risk_class -> Text,
        labels -> Text,
        conformity -> Bool,
        instructions -> Bool,
        state -> Text,
        size -> BigInt,
        card -> Text,
        created_at -> BigInt,
        created_by -> Text,
    }
}

diesel::table! {
    model (name) {
        name -> Text,
        owner -> Nullable<Text>,
        open -> Bool,
        created_at -> BigInt,
    }
}

diesel::table! {
    model_share (model, tenant) {
        model -> Text,
        tenant -> Text,
        until_at -> Nullable<BigInt>,
        purposes -> Text,
        preview -> Bool,
        terms -> Text,
    }
}

diesel::table! {
    model_route (model, alias) {
        model -> Text,
        alias -> Text,
        digest -> Text,
        canary -> Nullable<Text>,
        canary_permille -> Nullable<BigInt>,
        canary_by -> Nullable<Text>,
        mirror -> Nullable<Text>,
        mirror_permille -> Nullable<BigInt>,
    }
}

diesel::table! {
    model_assignment (model, alias, number) {
        model -> Text,
        alias -> Text,
        number -> BigInt,
        digest -> Text,
        at -> BigInt,
        by_user -> Text,
        kind -> Text,
        change -> Nullable<Text>,
    }
}

diesel::table! {
    model_change (id) {
        id -> Text,
        edition -> BigInt,
        model -> Text,
        kind -> Text,
        digest -> Text,
        base -> Nullable<Text>,
        permille -> Nullable<BigInt>,
        canary_by -> Nullable<Text>,
        state -> Text,
        reason -> Text,
        author -> Text,
        created_at -> BigInt,
        decided_by -> Nullable<Text>,
        decided_at -> Nullable<BigInt>,
        comment -> Nullable<Text>,
    }
}

diesel::table! {
    model_placement (digest, region) {
        digest -> Text,
        region -> Text,
        wanted -> Bool,
        changed_at -> BigInt,
        changed_by -> Text,
    }
}

diesel::table! {
    pod_model (pod, digest) {
        pod -> Text,
        digest -> Text,
        state -> Text,
        failure -> Nullable<Text>,
        at -> BigInt,
    }
}

diesel::table! {
    model_observation (hour, digest, tenant, measure, bucket) {
        hour -> BigInt,
        digest -> Text,
        tenant -> Text,
        measure -> Text,
        bucket -> Text,
        count -> BigInt,
    }
}

diesel::table! {
    model_threshold (model, measure) {
        model -> Text,
        measure -> Text,
        permille -> BigInt,
    }
}

diesel::table! {
    model_alert (id) {
        id -> Text,
        model -> Text,
        digest -> Text,
        measure -> Text,
        value_permille -> BigInt,
        threshold_permille -> BigInt,
        raised_at -> BigInt,
        cleared_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    pod (id) {
        id -> Text,
        region -> Text,
        url -> Text,
        models -> Text,
        draining -> Bool,
    }
}

diesel::table! {
    policy_bundle (digest) {
        digest -> Text,
        document -> Text,
        author -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    policy_activation (version) {
        version -> BigInt,
        digest -> Text,
        activated_at -> BigInt,
        activated_by -> Text,
        change -> Nullable<Text>,
        statement -> Text,
    }
}

diesel::table! {
    policy_proof (id) {
        id -> Text,
        draft -> Text,
        base -> Text,
        state -> Text,
        report -> Nullable<Text>,
        failure -> Nullable<Text>,
        requested_by -> Text,
        created_at -> BigInt,
        finished_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    transfer (entity, law, year, subject) {
        entity -> Text,
        law -> Text,
        year -> BigInt,
        subject -> Text,
        sensitive -> Bool,
        decision_id -> Text,
        at -> BigInt,
    }
}

diesel::table! {
    transfer_total (entity, law, year) {
        entity -> Text,
        law -> Text,
        year -> BigInt,
        subjects -> BigInt,
        sensitive -> BigInt,
    }
}

diesel::table! {
    console_user (id) {
        id -> Text,
        display_name -> Text,
        password_hash -> Text,
        roles -> Text,
        created_at -> BigInt,
        disabled -> Bool,
    }
}

diesel::table! {
    console_session (token_hash) {
        token_hash -> Text,
        user_id -> Text,
        csrf -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    ledger_log (origin) {
        origin -> Text,
        vkey -> Text,
        dir -> Text,
        verified_at -> Nullable<BigInt>,
        verified_size -> Nullable<BigInt>,
        findings -> Nullable<Text>,
    }
}

diesel::table! {
    ledger_cursor (origin) {
        origin -> Text,
        next_index -> BigInt,
    }
}

diesel::table! {
    audit_event (origin, log_index) {
        origin -> Text,
        log_index -> BigInt,
        leaf_hash -> Binary,
        at -> BigInt,
        kind -> Text,
        decision_id -> Nullable<Text>,
        tenant -> Nullable<Text>,
        credential -> Nullable<Text>,
        model -> Nullable<Text>,
        action -> Nullable<Text>,
        region -> Nullable<Text>,
        status -> Nullable<Text>,
        code -> Nullable<Text>,
        policy -> Nullable<Text>,
        items -> BigInt,
        characters -> BigInt,
        tokens -> BigInt,
        cost_micros -> BigInt,
        currency -> Nullable<Text>,
        redactions -> Text,
        document -> Text,
        shadow -> Nullable<Text>,
    }
}

diesel::table! {
    usage_daily (day, tenant, model, region, currency) {
        day -> Text,
        tenant -> Text,
        model -> Text,
        region -> Text,
        currency -> Text,
        calls -> BigInt,
        refusals -> BigInt,
        items -> BigInt,
        characters -> BigInt,
        tokens -> BigInt,
        cost_micros -> BigInt,
    }
}

diesel::table! {
    usage_monthly (month_start, tenant, currency) {
        month_start -> BigInt,
        tenant -> Text,
        currency -> Text,
        items -> BigInt,
        cost_micros -> BigInt,
    }
}

diesel::table! {
    activity_daily (day, tenant, status, code) {
        day -> Text,
        tenant -> Text,
        status -> Text,
        code -> Text,
        calls -> BigInt,
        redacted -> BigInt,
    }
}

diesel::table! {
    policy_change (id) {
        id -> Text,
        edition -> BigInt,
        title -> Text,
        state -> Text,
        base -> Text,
        digest -> Text,
        author -> Text,
        editors -> Text,
        simulation -> Nullable<Text>,
        approval -> Nullable<Text>,
        scheduled_at -> Nullable<BigInt>,
        version -> Nullable<BigInt>,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    policy_step (change, number) {
        change -> Text,
        number -> BigInt,
        at -> BigInt,
        by_user -> Text,
        kind -> Text,
        digest -> Text,
        comment -> Text,
    }
}

diesel::table! {
    policy_simulation (id) {
        id -> Text,
        draft -> Text,
        from_at -> BigInt,
        until_at -> BigInt,
        state -> Text,
        done -> BigInt,
        total -> BigInt,
        report -> Nullable<Text>,
        report_digest -> Nullable<Text>,
        failure -> Nullable<Text>,
        requested_by -> Text,
        created_at -> BigInt,
        finished_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    policy_shadow (id) {
        id -> BigInt,
        digest -> Text,
        started_at -> BigInt,
        started_by -> Text,
    }
}

diesel::table! {
    stop (kind, name) {
        kind -> Text,
        name -> Text,
        reason -> Text,
        by_user -> Text,
        at -> BigInt,
    }
}

diesel::table! {
    access_token (id) {
        id -> Text,
        user_id -> Text,
        name -> Text,
        hash -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    emergency (id) {
        id -> Text,
        tenant -> Text,
        reason -> Text,
        by_user -> Text,
        at -> BigInt,
        until_at -> BigInt,
        reviewed_by -> Nullable<Text>,
        reviewed_at -> Nullable<BigInt>,
        findings -> Nullable<Text>,
    }
}

diesel::table! {
    legal_hold (id) {
        id -> Text,
        tenant -> Text,
        subject -> Nullable<Text>,
        reason -> Text,
        placed_by -> Text,
        placed_at -> BigInt,
        released_by -> Nullable<Text>,
        released_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    erasure (id) {
        id -> Text,
        tenant -> Text,
        subject -> Text,
        reason -> Text,
        requested_by -> Text,
        requested_at -> BigInt,
        finished_at -> Nullable<BigInt>,
        key_count -> BigInt,
        payload_count -> BigInt,
        byte_count -> BigInt,
        certificate -> Nullable<BigInt>,
    }
}

diesel::table! {
    retention_rule (category) {
        category -> Text,
        floor_days -> BigInt,
        ceiling_days -> Nullable<BigInt>,
    }
}

diesel::table! {
    retention_report (id) {
        id -> BigInt,
        at -> BigInt,
        document -> Text,
    }
}

diesel::table! {
    retention_horizon (id) {
        id -> BigInt,
        day -> Text,
    }
}
