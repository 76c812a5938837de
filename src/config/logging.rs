//! The log's keys, for the program that installs a logger.

use super::config::LogFormat;
use super::key::{ConfigKey, TakesEffect, ValueKind};

/// `log.level`.
pub(super) const LEVEL: ConfigKey = ConfigKey {
    name: "log.level",
    effect: TakesEffect::Live,
    about: "What is logged, in all or by module.",
    kind: ValueKind::Text {
        wants: "off, error, warn, info, debug or trace, or a list of such with commas between them, \
                each of a MODULE=",
        get: |config| config.log_level.clone(),
        set: |config, text| {
            let is_level = |item: &str| {
                let level = item.split_once('=').map_or(item, |(_, level)| level).trim();
                level.parse::<log::LevelFilter>().is_ok()
            };
            text.split(',').all(is_level).then(|| config.log_level = text.to_owned())
        },
    },
};

/// `log.format`.
pub(super) const FORMAT: ConfigKey = ConfigKey {
    name: "log.format",
    effect: TakesEffect::Live,
    about: "Text for people, or one JSON object per line.",
    kind: ValueKind::Text {
        wants: "text or json",
        get: |config| match config.log_format {
            LogFormat::Text => "text".to_owned(),
            LogFormat::Json => "json".to_owned(),
        },
        set: |config, text| {
            config.log_format = match text {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return None,
            };
            Some(())
        },
    },
};
