//! Headers that make a request depend on what the client has, and what it can read.

/// Whether `If-None-Match` names what would be sent: the client has it.
///
/// The comparison is weak, as RFC 9110 has it: a proxy that recompresses marks our tag with `W/`.
pub(super) fn has(if_none_match: Option<&str>, etag: &str) -> bool {
    if_none_match.is_some_and(|list| {
        list.split(',').map(str::trim).any(|one| {
            let one = one.strip_prefix("W/").unwrap_or(one);
            one == etag || one == "*"
        })
    })
}

/// Whether a range still belongs to the file that the client has the beginning of.
///
/// A date never fits: it can't tell two files of the same second apart.
pub(super) fn continues(if_range: Option<&str>, etag: &str) -> bool {
    if_range.is_none_or(|tag| tag.trim() == etag)
}

/// Whether `Accept-Encoding` takes gzip.
pub(super) fn takes_gzip(accept_encoding: Option<&str>) -> bool {
    let Some(list) = accept_encoding else {
        return false;
    };
    let weight = |wanted: &str| {
        list.split(',').find_map(|one| {
            let mut fields = one.split(';').map(str::trim);
            let named = fields.next()?.eq_ignore_ascii_case(wanted);
            let weight = fields.find_map(|field| field.strip_prefix("q="));
            named.then(|| weight.map_or(1.0, |q| q.parse().unwrap_or(0.0)))
        })
    };
    weight("gzip").or_else(|| weight("*")).unwrap_or(0.0) > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list_and_strong_only_where_bytes_count() {
        let tag = "\"abc\"";
        for list in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            assert!(has(Some(list), tag), "{list}");
        }
        for list in ["\"ab\"", "abc", ""] {
            assert!(!has(Some(list), tag), "{list}");
        }
        assert!(!has(None, tag));
        assert!(continues(None, tag) && continues(Some("\"abc\""), tag));
        for other in ["W/\"abc\"", "*", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert!(!continues(Some(other), tag), "{other}");
        }
    }

    #[test]
    fn gzip_is_used_where_it_is_wanted() {
        for yes in ["gzip", "gzip, deflate, br", "br;q=1, GZIP; q=0.5", "*"] {
            assert!(takes_gzip(Some(yes)), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "gzip;q=0, *", "gzip;q=x"] {
            assert!(!takes_gzip(Some(no)), "{no}");
        }
        assert!(!takes_gzip(None));
    }
}
